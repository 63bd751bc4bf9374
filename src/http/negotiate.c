#include "http/negotiate.h"
