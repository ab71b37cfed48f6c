"""The models, one file each. `pofx.core.registry.discover` finds them by class name."""
