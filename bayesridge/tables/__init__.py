"""From a table, a file or a formula to named numeric columns."""
