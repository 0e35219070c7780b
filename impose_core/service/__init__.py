"""A process of its own that looks at pixels and writes annotation files (docs/service.md).

Files are the truth; everything here can be rebuilt from them.
"""
