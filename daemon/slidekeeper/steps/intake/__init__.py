"""Intake: observes drop folders, assembles packs, waits until they settle, and lets go of originals."""
