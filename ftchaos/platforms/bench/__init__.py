"""The bench: a throw-away isolated server on this machine, for backups that ftchaos did not make."""
