"""`make bench`: five named queries against the real service, cold and warm; no part of what is shipped."""
