"""Who may: tokens and their keys, roles, patient rights and what has been taken away.

``Authenticator`` turns a token into a ``Principal``; everything else here serves it. The
rule throughout is deny by default: what cannot be proved is refused, always with the same
words, so that nothing is learnt from a refusal.
"""
