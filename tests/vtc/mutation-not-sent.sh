# A mutation that never reaches the backend, because what is to be added to its fields does not fit any
# more, is registered no more.
# needs: apache2 mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl
. case

site -m apache-proxy-fcgi routes='{ path = "/**"; ttl = "1m"; tags = ["shop"]; }'

await is_hit /page
# Apache takes 8,190 bytes a line; 128 KiB is the limit, with what a proxy adds.
fields() {
    i=0
    while [ $i -lt 15 ]; do
        echo "header = \"X-$i: $(printf %8150s | tr ' ' x)\""
        i=$((i + 1))
    done
    echo "header = \"X-Pad: $(printf "%$1s" | tr ' ' x)\""
    echo "header = \"Content-Type: $(printf %8150s | tr ' ' x)\""
}
# From too large for Larder itself down to what is too large only with that.
size=1200
until [ "$size" -lt 300 ]; do
    fields "$size" > "$DIR/fields"
    get /page -d '' -K "$DIR/fields"
    case $(status) in
    400 | 431) ;;
    *) break ;;
    esac
    size=$((size - 50))
done
is "status" "$(status)" 500
is "the register" "$(redis cli hlen larder:gen-mutations)" 0
await is_hit /page
