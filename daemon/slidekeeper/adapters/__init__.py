"""The world outside: files, databases, brokers, processes; each adapter serves one port and knows no other adapter."""
