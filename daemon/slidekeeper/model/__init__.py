"""Values that all rooms share; they read nothing and decide nothing."""
