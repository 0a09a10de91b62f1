"""DIA sources of many visits joined to DIA objects."""
