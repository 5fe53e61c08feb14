"""The explorer: a local page on which the derivative is something you hold in your hand.

`server.serve` holds it together: `guard` lets nobody in but this machine's own browser, `conversation` passes the
page's questions on to the process of `worker`, where `questions` answers them by `curve`, `walks`, `landscape`,
`fitting` and `planes`; `live` follows a run file. The page itself is built from `web/` at the root of the repository
into `page/` by `make explorer`, and is shipped with the package.

A page without a server
-----------------------
The same script also mounts screens whose data stand in the page. Each is one block

    <script type="application/json" data-steepest>
      {"screen": "slope", "title": "...", "state": {"f": "x**2", "x": "1.2", "low": "-2", "high": "4"},
       "answers": [{"question": {"ask": "curve", ...}, "frame": "<base64>"}]}
    </script>

put where the picture shall stand; the script (`page/explorer.js`) and the style sheet (`page/explorer.css`) of the
same page mount one for every such block, in the order of the document, without any request. `screen` is one of
"slope", "walk", "landscape", "found", "fit", "limit"; `state` is what stands in the fragment of the page's address;
`answers` are the answers to the questions that the screen asks, each a frame of `frames.pack`. A handle stays
draggable between the samples: "curve" serves every place in its window, "grid" every start. `still` writes such blocks:

>>> from steepest.explorer.still import block, screen
>>> text = block(screen("slope", "x**2 - 2*x + 3", x=[1.2], low=-2, high=4, title="The lesson"))
>>> text.startswith('<script type="application/json" data-steepest>')
True

`still.assets()` gives script and style sheet as text that may be written into the page. In a notebook `widget` shows
the same screens by the same script, with Python behind them (`notebook`).
"""

from typing import Any


def __getattr__(name: str) -> Any:
    # Read when asked for, so that the server does not wait for what only a notebook needs.
    if name == "widget":
        from .notebook import widget

        return widget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
