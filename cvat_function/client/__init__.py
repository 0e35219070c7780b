"""A job of CVAT carried over its API: ``impose cvat``. See docs/cvat.md.

``connection`` speaks HTTP by the official SDK, ``job`` and ``labels`` say what the job is,
``chunks`` are its pictures, ``persons`` reads its tracks as anchors, ``keyframes`` and ``tracks``
write them back, ``work`` is the path of a command, ``commands`` its options.
"""
