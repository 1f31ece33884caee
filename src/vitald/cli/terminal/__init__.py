"""Everything about the screen: safe text, units, tables, colours, live views."""
