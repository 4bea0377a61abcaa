"""What is seen on a page of the dashboard, as expressions of JavaScript."""

PAGE = "document.querySelector('#page')"
VERDICT = "document.querySelector('#page h1').innerText"
CHARTS = "[...document.querySelectorAll('.chart')]"
DRAWN = f"{CHARTS}.every(each => each.querySelector('.main-svg'))"
# Dash's own word for it: no callback waits or is under way.
SETTLED = "!window.store.getState().isLoading"
BEGUN = f"!!document.querySelector('#page h1') && !{PAGE}.querySelector('.loading')"
THERE = f"{BEGUN} && {SETTLED}"
COME = f"{BEGUN} && {DRAWN}"
ROWS = "[...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')]"
FIRST_ROW = f"({ROWS}.find(each => each.getAttribute('row-index') === '0') || {{}}).innerText"
THUMB = "document.querySelector('#ask-decades [role=slider]')"
