"""The series in which clients and sidecars settle what was lost between them.

    vitald.client.received:23|c|#client:web-71-ab12cd             ends every datagram: its samples
    vitald.client.claimed:80000|g|#client:web-71-ab12cd           samples handed to the socket,
    vitald.client.claimed_datagrams:3500|g|#client:web-71-ab12cd  and the datagrams they were in,
    vitald.client.started:1700000000.25|g|#client:web-71-ab12cd   since then (Unix seconds)

Claims are cumulative, so one that is lost on the way is made good by the next. `client` is
`<program>-<pid>-<6 hex>`, new in every process and in every child.
"""

from __future__ import annotations

RECEIVED = "vitald.client.received"
CLAIMED = "vitald.client.claimed"
CLAIMED_DATAGRAMS = "vitald.client.claimed_datagrams"
STARTED = "vitald.client.started"

# The tag that names the client in all of them, and in `vitald.client.dropped`.
CLIENT = "client"
