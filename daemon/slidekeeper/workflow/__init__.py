"""What happens next, decided by one table and a few pure rules; no input or output, no clock."""
