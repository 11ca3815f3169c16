//! REST API, OpenAPI, and the embedded web app.
