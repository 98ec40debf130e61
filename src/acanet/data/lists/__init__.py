"""Manifests, trial lists and enrolment lists, read and checked."""
