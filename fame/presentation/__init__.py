"""What the app and the report share: colours, terms, names, and sentences made from figures."""
