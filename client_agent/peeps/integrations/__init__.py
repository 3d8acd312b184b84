"""Opt-in integrations: requests and responses that find each other across processes.

    peeps.integrations.asgi      a middleware for servers
    peeps.integrations.httpx     a transport for clients
    peeps.integrations.aiohttp   hooks for clients

Both ends of a call are tied by the W3C `traceparent` header: one that is there is used as it is
(OpenTelemetry users get the link for free), otherwise one is made. Nothing but method, path
without query, and status is told. While the agent is off they do nothing.
"""
