"""What Nuclio imports; the work is in the package ``cvat_function`` of the base image."""

from cvat_function.tracker import handler, init_context

__all__ = ["handler", "init_context"]
