# What is validated again and again takes no more memory for it. (Under a sanitizer what is free is
# not given back.)
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 1 routes='{ path = "/**"; ttl = "5m"; }'
memory_kib() {
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$(pool pids | xargs)/status"
}
validate() {
    for i in 1 2 3 4 5 6 7 8 9 10; do
        get "$page"
        is "X-Cache" "$(field X-Cache)" REVALIDATED
    done
}
page='/page?status=304&after=1&size=4000000&h=ETag:%22a%22&h=Cache-Control:no-cache'
get "$page"
redis stored 1
validate
before=$(memory_kib)
validate
after=$(memory_kib)
test "$after" -lt $((before + 12000)) || fail "$before KiB have become $after"
