DROP TABLE trip_marks;
DROP TABLE trips;
