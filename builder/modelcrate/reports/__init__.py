"""An image as one page: what takes the room, what decided it, how long its build took, and what is known of its contents."""
