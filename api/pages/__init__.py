"""The dashboards: one module a page, its template of the same name in `api/templates/`."""
