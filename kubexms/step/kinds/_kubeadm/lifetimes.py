"""Until when certificates are valid, read by one awk: openssl would have to be started for each of them.

A certificate is DER in base64 (RFC 7468); where `notAfter` is in it, and its two forms, says RFC 5280, 4.1.
"""

from __future__ import annotations

_ENDS = r"""
function value(k,  c) { c = substr(code, k, 1); return c == "" || c == "=" ? 0 : index(letters, c) - 1 }
# byte(I): the I-th byte, from 0, of what is in base64 in `code`
function byte(i,  k) {
  k = int(i / 3) * 4 + 1
  if (i % 3 == 0) return value(k) * 4 + int(value(k + 1) / 16)
  if (i % 3 == 1) return value(k + 1) % 16 * 16 + int(value(k + 2) / 4)
  return value(k + 2) % 4 * 64 + value(k + 3)
}
# element(I): `inside` is where the contents of the element at byte I begin, `behind` where it ends
function element(i,  n, k) {
  n = byte(i + 1)
  inside = i + 2
  if (n > 127) { k = n - 128; if (k > 3) k = 3; for (n = 0; k > 0; k--) n = n * 256 + byte(inside++) }
  behind = inside + n
}
function text(s,  i, n) {
  code = s
  s = ""
  n = int(length(code) / 4) * 3
  for (i = 0; i < n; i++) s = s sprintf("%c", byte(i))
  return s
}
# first(S): the base64 of the first certificate in S; empty if there is none
function first(s,  i) {
  if (!(i = index(s, "-----BEGIN CERTIFICATE-----"))) return ""
  s = substr(s, i + 27)
  s = (i = index(s, "-----END")) ? substr(s, 1, i - 1) : ""
  gsub(/[ \t\r\n]/, "", s)
  return s
}
# read_in(FILE): what is in it, or in what a kubeconfig has as the certificate of its user
function read_in(file,  line, s) {
  s = ""
  while ((getline line <file) > 0) {
    if (line ~ /^ *client-certificate-data: */) {
      sub(/^ *client-certificate-data: */, "", line)
      s = text(line)
      break
    }
    s = s line "\n"
  }
  close(file)
  return s
}
# not_after(): as YYYYMMDDhhmmss; empty if that is no certificate
function not_after(  i, n, s, kind) {
  if (byte(0) != 48) return ""
  element(0)
  element(inside)
  i = inside
  if (byte(i) == 160) { element(i); i = behind }
  # serial number, algorithm, issuer
  for (n = 0; n < 3; n++) { element(i); i = behind }
  element(i)
  element(inside)
  kind = byte(behind)
  element(behind)
  if (!(kind == 23 && behind - inside == 13 || kind == 24 && behind - inside == 15)) return ""
  for (i = inside; i < behind - 1; i++) s = s sprintf("%c", byte(i))
  if (s !~ /^[0-9]+$/ || byte(behind - 1) != 90) return ""
  return kind == 23 ? (substr(s, 1, 2) < 50 ? "20" : "19") s : s
}
# seconds(S): since 1970
function seconds(s,  y, m, d, era) {
  y = substr(s, 1, 4); m = substr(s, 5, 2) + 0; d = substr(s, 7, 2)
  if (m < 3) y--
  era = int(y / 400)
  y -= era * 400
  d = int((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1 + y * 365 + int(y / 4) - int(y / 100)
  d += era * 146097 - 719468
  return (d * 24 + substr(s, 9, 2)) * 3600 + substr(s, 11, 2) * 60 + substr(s, 13, 2)
}
BEGIN {
  letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  months = "JanFebMarAprMayJunJulAugSepOctNovDec"
  for (a = 1; a + 2 < ARGC; a += 3) {
    code = first(read_in(ARGV[a + 2]))
    if (code == "" || (end = not_after()) == "") continue
    month = substr(months, substr(end, 5, 2) * 3 - 2, 3)
    clock = substr(end, 9, 2) ":" substr(end, 11, 2) ":" substr(end, 13, 2)
    shown = sprintf("%s %2d %s %d GMT", month, substr(end, 7, 2), clock, substr(end, 1, 4))
    print ARGV[a], (seconds(end) < now + ARGV[a + 1] ? "due" : "lasts"), shown
  }
}
"""

ENDS = f"""
# ends NAME SECONDS FILE ...: for each certificate, or kubeconfig with one, a line NAME due|lasts END; `due`
# when it ends within so many seconds. Of a file that is not there, or holds none, nothing is said.
ends() {{ awk -v now="$(date +%s)" '{_ENDS}' "$@"; }}
"""
"""A function of sh, which asks for nothing but awk and date."""
