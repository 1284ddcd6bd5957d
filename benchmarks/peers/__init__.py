"""What people would use instead: one server a file, each written as its own documentation advises.

``registry`` lists them, ``environments`` installs what they need, ``processes`` starts and tells them.
The servers run in environments of their own: they import nothing but their library and ``control``.
"""
