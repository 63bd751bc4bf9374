#include "http/structured.h"
