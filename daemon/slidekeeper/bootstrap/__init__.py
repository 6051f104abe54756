"""The only room that knows everyone: wires ports to adapters and steps to commands."""
