# How long a response is fresh: the order of larder.conf(5), FRESHNESS.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='
    { path = "/rfc/**"; cache = "rfc"; error_statuses = "rfc"; heuristic_max = "1h";
      stale_if_error = "0s"; },
    { path = "/override/**"; ttl_override = "100s"; },
    { path = "/status/**"; ttl = "20s"; negative_ttl = "5s";
      ttl_by_status = ["301 100s", "404 50s", "503 10s", "410 0s"]; },
    { path = "/bounds/**"; ttl = "20s"; min_ttl = "10s"; max_ttl = "50s"; },
    { path = "/silent/**"; ttl = "20s"; negative_ttl = "5s"; }'

# for RESPONSE SECONDS: what the answer's Cache-Status says; `not REASON` instead of seconds.
lives() {
    get "$1"
    said=$(field Cache-Status | sed 's/; key=.*//; s/^Larder; fwd=uri-miss; fwd-status=[0-9]*; //')
    case $2 in
    not) is "$1" "$said" "detail=$3" ;;
    *)
        case $said in
        "ttl=$2; stored" | "ttl=$(($2 - 1)); stored") ;;
        *) fail "$1: $said, not $2 s" ;;
        esac
        ;;
    esac
}
later() {
    LC_ALL=C date -u -d "$1 seconds" '+%a, %d %b %Y %H:%M:%S GMT' | sed 's/ /%20/g'
}
control='h=Cache-Control:'

# The origin's words, the first that speaks.
for route in rfc silent; do
    lives "/$route/a?${control}max-age=60,s-maxage=90" 90
    lives "/$route/b?${control}max-age=60&h=Expires:0" 60
    lives "/$route/c?h=Expires:$(later 80)" 80
    lives "/$route/d?h=Expires:$(later 80)&h=Date:$(later 0)&h=Age:30" 50
    lives "/$route/e?${control}max-age=60&h=Age:20" 40
    lives "/$route/f?${control}max-age=60&h=Age:90" not expired
    lives "/$route/g?h=Expires:0" not expired
    lives "/$route/h?h=Expires:tomorrow" not expired
    lives "/$route/i?${control}max-age=60,no-store" not no-store
    lives "/$route/j?h=CDN-Cache-Control:max-age=70&${control}no-store" 70
    lives "/$route/k?h=Larder-Cache-Control:max-age=75&h=CDN-Cache-Control:max-age=70" 75
done

# A guess, where the route has HTTP's rules and says nothing itself.
lives "/rfc/guess?h=Last-Modified:$(later -600)" 60
lives "/rfc/guess-long?h=Last-Modified:$(later -864000)" 3600
lives "/rfc/guess-short?h=Last-Modified:$(later -1)" 5
lives "/rfc/none" not no-freshness
lives "/silent/guess?h=Last-Modified:$(later -600)" 20
lives "/rfc/guess-302?status=302&h=Last-Modified:$(later -600)" not no-freshness

# The route's.
lives /silent/page 20
lives '/silent/old?h=Age:100' 20
lives "/override/a?${control}max-age=5" 100
lives "/override/b?h=Expires:0" 100
lives "/override/c?${control}no-cache" 100
lives "/override/d?${control}no-store" not no-store
lives "/override/e?${control}private" not private
lives "/override/f?status=301&${control}max-age=5" 5
lives '/status/a?status=301' 100
lives '/status/b?status=404' 50
lives '/status/c?status=503' 10
lives '/status/d?status=410' not no-freshness
lives '/status/e?status=302' not no-freshness
lives '/status/f?status=500' not error-status
lives "/status/g?status=301&${control}max-age=5" 5
lives '/status/h' 20
lives "/bounds/a?${control}max-age=1" 10
lives "/bounds/b?${control}max-age=100" 50
lives "/bounds/c?${control}max-age=0" not expired
lives '/bounds/d' 20

# Errors, briefly or by the letter.
lives "/silent/404?status=404&${control}max-age=60" 5
lives "/silent/404-silent?status=404" not no-freshness
lives "/silent/403?status=403&${control}max-age=60" not error-status
lives "/rfc/404?status=404&${control}max-age=60" 60
lives "/rfc/403?status=403&${control}max-age=60" 60
lives "/rfc/500?status=500&${control}max-age=60" 60
lives "/rfc/500-silent?status=500" not no-freshness

# And then it is over.
get "/rfc/short?${control}max-age=1"
sleep 1.1
get "/rfc/short?${control}max-age=1"
is "X-Cache" "$(field X-Cache)" MISS
