"""What a model file says of itself, read as bytes: nothing is imported, loaded or run. One file a format.

Everything here takes a binary file that may have been made by an enemy, and ends in time and in bounded memory, with facts or with an
IntegrityError.
"""
