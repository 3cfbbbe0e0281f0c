"""What the API and the workers both stand on. Knows neither of them, and no HTTP framework."""

__version__ = "0.2.0.dev0"
