"""Point trackers: where do these pixels go?"""
