"""What people see: facts as text and as HTML, and words on standard output."""
