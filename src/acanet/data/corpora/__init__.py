"""Where the utterances of a source are: one module a layout."""
