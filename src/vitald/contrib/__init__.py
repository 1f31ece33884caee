"""Ready-made metrics for frameworks; each module needs the framework that it is named after."""
