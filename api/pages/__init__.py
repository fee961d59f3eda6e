"""The pages: a folder a subject, each module beside its template."""
