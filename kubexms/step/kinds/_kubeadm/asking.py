"""A node asks the API with its own credentials: by openssl, as starting kubectl takes four times as long."""

from __future__ import annotations

API_GET = r"""
# api_get PATH SECONDS: what `kubectl get --raw PATH` prints with the kubelet's kubeconfig, and its status.
# The kubelet's certificate and the cluster's authority lie in files, so that openssl asks, in HTTP/1.0: the
# answer comes in one piece and ends with the connection. Whatever is not that simple is left to kubectl.
api_get() {
  conf=/etc/kubernetes/kubelet.conf ca=/etc/kubernetes/pki/ca.crt
  own=/var/lib/kubelet/pki/kubelet-client-current.pem
  place= trust= cert= key= odd=
  while read -r word rest; do
    case $word in
    server:) odd=$odd$place place=${rest#https://} ;;
    certificate-authority-data:) trust=$rest ;;
    client-certificate:) cert=$rest ;;
    client-key:) key=$rest ;;
    proxy-url: | tls-server-name: | insecure-skip-tls-verify: | certificate-authority:) odd=y ;;
    esac
  done 2>/dev/null <"$conf"
  place=${place%/}
  case $place in *[!A-Za-z0-9.:-]* | *:*:* | :* | *:) odd=y ;; *:*) ;; *) odd=y ;; esac
  if [ -z "$odd" ] && [ "$cert" = "$own" ] && [ "$key" = "$own" ] && [ -r "$own" ] && [ -r "$ca" ] &&
      command -v openssl >/dev/null && [ "$(base64 <"$ca" | tr -d '\n')" = "$trust" ]; then
    case ${place%:*} in *[!0-9.]*) by=-verify_hostname ;; *) by=-verify_ip ;; esac
    answer=$(printf 'GET %s HTTP/1.0\r\nHost: %s\r\nAccept: application/json\r\n\r\n' "$1" "$place" |
      timeout "$2" openssl s_client -quiet -connect "$place" -CAfile "$ca" -verify_return_error \
        "$by" "${place%:*}" -cert "$own" -key "$own" 2>/dev/null) && s=0 || s=$?
    case $answer in
    "HTTP/1."[01]" 200 "*)
      end=$(printf '\r\n\r\n.')
      printf '%s\n' "${answer#*"${end%.}"}"
      return 0 ;;
    esac
    case $s in 124 | 143) echo "no answer from $place within $2 s"; return 1 ;; esac
  fi
  kubectl --cache-dir /dev/null/no --kubeconfig "$conf" --request-timeout="$2s" get --raw "$1" 2>&1
}
"""
"""Sh, read-only; `PATH` leads to both."""
