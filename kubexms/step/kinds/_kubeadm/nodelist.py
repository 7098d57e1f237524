"""All nodes that the API knows, from its own list of them."""

from __future__ import annotations

from kubexms.step.kinds._kubeadm.asking import API_GET

_SIFT = r"""
# what is between quotes, and what is not, in turn; a quote after a backslash ends nothing
BEGIN { RS = "\""; level = 0 }
# value(S): of the member, or of what is in the list, that the names by level lead to
function value(s) {
  if (level == 4 && name[3] == "metadata" && name[4] == "name") node = s
  if (level == 4 && name[3] == "spec" && name[4] == "podCIDR") part = s
  if (level == 6 && name[3] == "status" && name[4] == "addresses") {
    if (name[6] == "type") type = s
    if (name[6] == "address") address = s
  }
}
function begin() {
  name[++level] = ""
  if (level == 3) node = part = all = ""
  if (level == 6) type = address = ""
}
function end() {
  if (level == 6 && name[4] == "addresses" && type == "InternalIP") all = all (all == "" ? "" : " ") address
  if (level == 3 && name[1] == "items") print node "|" part "|" all
  level--
}
quoted {
  text = text $0
  rest = $0
  sub(/.*[^\\]/, "", rest)
  if (length(rest) % 2) { text = text "\""; next }
  quoted = 0
  next
}
{
  n = length($0)
  if (NR > 1 && $0 !~ /^[ \t\r\n]*:/) value(text)
  for (i = 1; i <= n; i++) {
    c = substr($0, i, 1)
    if (c == ":") { if (level) name[level] = text }
    else if (c == "{" || c == "[") begin()
    else if (c == "}" || c == "]") end()
  }
  quoted = 1
  text = ""
}
END { if (level) exit 1 }
"""

NODES = (
    API_GET
    + f"""
# nodes: NAME|PART OF THE PODS' NETWORK|ADDRESSES of each node, or what is wrong, and status 1
nodes() {{
  listed=$(api_get /api/v1/nodes 10) || {{ printf '%s\\n' "$listed"; return 1; }}
  printf '%s\\n' "$listed" | awk '{_SIFT}' || {{ echo 'the list of nodes is cut off'; return 1; }}
}}
"""
)
"""Sh. By their path: what a kind is called takes kubectl thirty questions."""
