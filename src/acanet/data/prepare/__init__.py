"""Recordings of any layout checked and written as manifests."""
