#include "http/vary.h"
