# A backend that names all codings of a page by one tag, as nginx does with gzip on: nobody gets bytes
# that he cannot read.
# needs: lighttpd nginx redis-server redis-cli spawn-fcgi curl
. case

mkdir "$DIR/htdocs" "$DIR/nginx"
chmod 755 "$DIR/htdocs"
yes 'the same line once more' | head -n 100 > "$DIR/htdocs/page.txt"
cat > "$DIR/nginx.conf" <<END
pid $DIR/nginx/pid;
error_log $DIR/log/nginx-backend;
worker_processes 1;
events { }
http {
    access_log off;
    types { text/plain txt; }
    client_body_temp_path $DIR/nginx/body;
    proxy_temp_path $DIR/nginx/proxy;
    fastcgi_temp_path $DIR/nginx/fastcgi;
    uwsgi_temp_path $DIR/nginx/uwsgi;
    scgi_temp_path $DIR/nginx/scgi;
    gzip on;
    gzip_proxied any;
    gzip_types text/plain;
    gzip_vary on;
    server {
        listen 127.0.0.1:$PORT2;
        root $DIR/htdocs;
    }
}
END
nginx -c "$DIR/nginx.conf" -e "$DIR/log/nginx-backend"
await listening "$PORT2"
site url="http://127.0.0.1:$PORT2" routes='{ path = "/**"; ttl = "5m"; }'

has_it() {
    curl -s --max-time 20 -o /dev/null -D - -H "Accept-Encoding: $2" "$url$1" | grep -q -i '^x-cache: hit'
}

plain=$(sum "$DIR/htdocs/page.txt")
for first in gzip identity; do
    case $first in
    gzip) second=identity ;;
    *) second=gzip ;;
    esac
    for coding in $first $second $first $second; do
        get "/page.txt?$first" -H "Accept-Encoding: $coding"
        is "$first first, $coding: status" "$(status)" 200
        case $coding in
        gzip)
            is "$first first, $coding: Content-Encoding" "$(field Content-Encoding)" gzip
            gunzip < "$DIR/body" > "$DIR/plain"
            ;;
        *)
            is "$first first, $coding: Content-Encoding" "$(field Content-Encoding)" ''
            cp "$DIR/body" "$DIR/plain"
            ;;
        esac
        is "$first first, $coding: body" "$(sum "$DIR/plain")" "$plain"
        await has_it "/page.txt?$first" "$coding"
    done
done
