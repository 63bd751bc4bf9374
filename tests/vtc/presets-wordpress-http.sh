# The preset for WordPress with a WordPress behind a web server of its own, which Larder reaches by
# HTTP: a stranger drops nothing, what an editor does shows at once. Without the plugin.
# needs: lighttpd nginx spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 400
MOUNT=nginx
UPSTREAM=http
. case
. blog
blog
rm "$DIR/htdocs/wp-content/mu-plugins/larder.php"
. wordpress-strangers
strangers
. wordpress-editor

content
