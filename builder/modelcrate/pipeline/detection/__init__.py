"""A project without a project file: what the files of a folder say."""
