"""The pictures of the documentation: text as the formats print it today, drawn as a terminal would show it."""
