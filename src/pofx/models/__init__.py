"""The models: one file each, found by discovery."""
