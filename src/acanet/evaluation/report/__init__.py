"""What an evaluation leaves behind: a folder, a page, pictures."""
