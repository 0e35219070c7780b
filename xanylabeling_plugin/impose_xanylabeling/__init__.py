"""IMPose inside X-AnyLabeling.

The program that shows the window is X-AnyLabeling; this package adds actions to it. All that
looks at pixels or writes annotation files of other frames is done by ``impose serve``, a process
of its own (docs/service.md): nothing here imports it.

Modules that know Qt or the host: ``host``, ``plugin``, ``actions``, ``canvas``, ``skeletons``,
``status_line``, ``worker``, ``auto_run``. The others are plain Python.
"""
