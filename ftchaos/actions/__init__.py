"""The actions of the Chaos Toolkit extension; their module and function names are public API."""
