"""Values as text and as HTML for users, and text on standard output."""
