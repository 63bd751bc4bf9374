#include "http/uri.h"
