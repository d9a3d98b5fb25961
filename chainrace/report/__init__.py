"""The results folder and its views."""
